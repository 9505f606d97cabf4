// Command sonde shows what the programs on a Linux host do.
package main

import (
	"os"

	"sonde/internal/cli"
)

func main() { os.Exit(cli.Run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }
