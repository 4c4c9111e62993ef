// Package tables reads three public tables of model prices into one form: genai-prices
// (Pydantic), LiteLLM's model_prices_and_context_window.json and Portkey's models. It is
// used by the program that generates the embedded table and by the test that compares
// it with all three, and never by the gateway.
//
// A table says some prices and is silent about others; a Quote keeps the two apart. All
// amounts are micro-dollars per million tokens. Prices of pictures, sound, characters and
// seconds are not read, nor are fine-tuned models and reserved capacity.
package tables
