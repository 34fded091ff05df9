"""What several tabs are made of: the viewer, the chart, the samples, the theme."""
