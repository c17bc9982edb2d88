"""The Twilio-compatible server: the model behind Twilio's API, in real or scaled time."""
