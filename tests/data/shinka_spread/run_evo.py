"""Settings of a run with their own tool; only the message below is read."""

search_task_sys_msg = "Keep the points on the line as far apart as you can."
