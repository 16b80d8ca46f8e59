"""The operations of people and programs, a file for each resource: permission, operation, answer, and nothing else."""
