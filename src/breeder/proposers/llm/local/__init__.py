"""Language models on this machine: fetched once, run by llama.cpp in a process of their own.

`breeder models pull NAME` fetches one, `breeder run --model local[:NAME|:PATH]` uses it. The
runtime comes with the extra `local`.
"""
