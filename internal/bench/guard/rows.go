package guard

import "sonde/internal/bench/report"

// Table is the layout of the report, with the target sonde has set itself.
func Table() report.Table {
	table := report.Table{Judged: mechanisms[0]}
	for _, k := range kinds {
		table.Rows = append(table.Rows, report.Row{ID: "open." + k.key, Title: k.title})
	}
	table.Rows[0].Section = "An open and its close, as a multiple of one without sonde"
	return report.Table{Judged: table.Judged, Rows: append(table.Rows,
		report.Row{ID: "constant", Title: many.title + " ÷ " + few.title, Target: report.AtMost(1.2)},
		report.Row{Section: "From the start of sonde until the rules are in force", ID: "armed." + nobody.key, Title: "1 rule", Unit: "s"},
		report.Row{ID: "armed." + many.key, Title: many.title, Unit: "s"},
	)}
}

func columns() []report.Column {
	var list []report.Column
	for _, mechanism := range mechanisms {
		list = append(list, report.Column{Key: mechanism, Title: "sonde guard, " + mechanism})
	}
	return list
}

func notes() []string {
	return []string{
		"Medians, [lowest–highest] where rounds differ. A stock Debian kernel in an emulated machine (qemu without KVM), many times slower than a machine: only the ratios mean " +
			"anything. The rules deny writing, each to a file of its own; other files are opened for reading, in the last kind files of the rule's tree. Figures are 10th percentiles of " +
			"slices of opens, in wall time. A guard without a rule for the process that opens is about another process.",
	}
}
