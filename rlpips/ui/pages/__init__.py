"""One module for each tab of the page, with its texts and tables."""
