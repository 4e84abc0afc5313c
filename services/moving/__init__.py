"""`tongluo migrate`: an embedded installation's data and settings to the real servers."""
