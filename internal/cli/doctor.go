package cli

import (
	"github.com/spf13/cobra"

	"sonde/internal/tool/doctor"
)

func doctorCommand(io streams) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this kernel and these privileges allow",
		Long: `Says by trying what this kernel allows with these privileges, which sonde commands work, and what to do about the rest.
Runs without privileges too, and says what it could not try.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unexpected %q", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			write := func(r doctor.Report) error { return r.WriteText(io.out, doctor.TextOptions{}) }
			switch format {
			case "text":
			case "json":
				write = func(r doctor.Report) error { return r.WriteJSON(io.out) }
			default:
				return usage("-f %q: the formats are text and json", format)
			}
			if err := needProc(); err != nil {
				return err
			}
			return write(doctor.Collect())
		},
	}
	c.Flags().StringVarP(&format, "format", "f", "text", "`FORMAT` of the report: text or json")
	return c
}
