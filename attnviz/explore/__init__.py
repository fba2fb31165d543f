"""The explorer: a text's attention in the whole terminal, moved through with keys and the mouse."""
