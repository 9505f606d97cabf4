package measure

import (
	"bytes"
	"regexp"
	"strconv"
)

// losses finds what the tools say of lost records: "Lost 12 events on CPU #1!" (libbpf-tools), "Lost 12 events"
// (bpftrace), "Possibly lost 12 samples" (bpfcc), "12 lost" or "lost 12" (sonde's accounting line).
var losses = regexp.MustCompile(`(?i)\blost:? (\d+)|\b(\d+)(?: events| records)? lost\b`)

// Lost sums up the losses that a tool's remarks speak of.
func Lost(remarks string) int {
	sum := 0
	for _, match := range losses.FindAllStringSubmatch(remarks, -1) {
		n, err := strconv.Atoi(match[1] + match[2])
		if err != nil {
			continue // beyond what an int holds: no count
		}
		sum += n
	}
	return sum
}

// SpeaksOfLoss tells "Lost 12 events" and "Possibly lost 12 samples" from the records of commands with such words.
func SpeaksOfLoss(line []byte) bool {
	line = bytes.TrimPrefix(bytes.ToLower(line), []byte("possibly "))
	return bytes.HasPrefix(line, []byte("lost "))
}
