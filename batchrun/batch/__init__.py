"""A batch from the list to the workbook: everything that knows more than one stage."""
