"""Run a batch from the list to the workbook: the code that spans several stages."""
