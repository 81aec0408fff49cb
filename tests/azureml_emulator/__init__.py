"""Azure Machine Learning on loopback, for tests: what the unmodified SDKs see behind an HTTPS proxy."""
