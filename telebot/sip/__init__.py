"""SIP trunks: signalling by sippy, media over RTP. `carriers/` shows them to the house."""
