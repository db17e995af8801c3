"""Arrays, images, surfaces and tables as files: saving, loading, and by annotation."""
