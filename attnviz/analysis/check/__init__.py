"""The check of what is shown of long texts and corpora: made anew from transformers' weights, by plain definitions."""
