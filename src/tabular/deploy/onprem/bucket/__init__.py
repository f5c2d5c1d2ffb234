"""The bucket of the deployment's own MinIO, and the one user who may work in it.

A MinIO that was just made has neither, and its administrator could do far more than the service
ever does: delete the bucket, make users, stop the server. So an init container of the API makes
both as the administrator, and API, workers and backups are the user. The user's policy is what
the storage driver does and nothing else.
"""
