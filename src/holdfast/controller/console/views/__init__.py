"""A file for each page: permission, operation, picture, template, and nothing else."""
