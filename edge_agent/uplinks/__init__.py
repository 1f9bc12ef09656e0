"""Built-in uplinks, one file or folder each; imported only when the configuration names them."""
