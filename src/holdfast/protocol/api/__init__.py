"""What the controller's API takes and answers: models that the controller and its clients share."""
