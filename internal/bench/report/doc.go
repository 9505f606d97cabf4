// Package report writes down what the benchmark found: a Markdown table with targets, a block of the README, raw JSON.
//
// It is data in, text out: it measures nothing and knows no tool. Files are written only by WriteReadme and WriteJSON.
package report
