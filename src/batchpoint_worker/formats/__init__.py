"""How what ``run()`` returned is written when a job asks for more than the text of the cloud service."""
