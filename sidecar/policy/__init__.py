"""Policy files: the model, and how a file becomes one. Floor 0: imports nothing of the other rooms."""
