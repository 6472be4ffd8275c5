"""The drift net: a small network that corrects the filtered historical law. The only room that knows torch."""
