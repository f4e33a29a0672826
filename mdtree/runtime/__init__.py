"""The machine and other packages: devices, threads, network access, versions."""
