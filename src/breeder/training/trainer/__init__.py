"""Pre-training and LoRA fine-tuning of `breeder.models`. Needs torch.

`run_folder` is the whole of it: a run that is started, stopped and resumed; `trainer` is the loop.
"""
