// Command peers makes the roots of the peers below the cache folder, and prints where they are: one line "SUITE DIR" each.
package main

import (
	"context"
	"fmt"
	"os"

	"sonde/internal/bench/peers"
)

func main() {
	for _, suite := range []peers.Suite{peers.Newest, peers.Stable} {
		root, err := peers.Ensure(context.Background(), suite, os.Stderr)
		if err != nil {
			fmt.Fprintln(os.Stderr, "peers:", err)
			os.Exit(1)
		}
		fmt.Println(suite.Name, root.Dir)
	}
}
