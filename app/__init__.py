"""The application: command line, window, services and workers over `m2hf_core`."""

from app.workers.offline import cut_off_if_asked

cut_off_if_asked()  # every process of the program begins here
