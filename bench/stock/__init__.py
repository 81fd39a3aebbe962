"""The stock way: Pipecat's own telephony bot, as its documentation builds one, for comparison."""
