// Command init is process 1 of a guest: it sets up what a Linux system has, runs the jobs it was given one after
// another, reports their output and exit status through two virtio-serial ports, and switches the guest off.
//
// It is a program of its own, not the test binary, because process 1 has to mount /proc before anything that reads it
// is initialised. It is built static, and may do to its guest whatever it likes; on any other system it refuses to run.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"sonde/internal/vmtest/wire"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: this is process 1 of a test guest; it does nothing elsewhere")
		os.Exit(2)
	}
	if err := guest(); err != nil {
		// Standard error is the console, which the host shows when the guest did not report.
		fmt.Fprintf(os.Stderr, "\nguest init: %v\n", err)
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func guest() error {
	text, err := os.ReadFile(wire.JobFile)
	if err != nil {
		return err
	}
	plan, err := wire.ReadPlan(text)
	if err != nil {
		return err
	}
	if err := mountAll(); err != nil {
		return err
	}
	if err := loadModules(wire.ModulesDir); err != nil {
		return err
	}
	if err := identity(plan.Hostname); err != nil {
		return err
	}
	output, err := openPort(wire.OutputPort)
	if err != nil {
		return err
	}
	status, err := openPort(wire.StatusPort)
	if err != nil {
		return err
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	if err := status.say(wire.ReadyLine(strings.TrimSpace(string(release)))); err != nil {
		return err
	}
	for i, job := range plan.Jobs {
		if err := status.say(wire.StartLine(i)); err != nil {
			return err
		}
		exit, err := runJob(i, job, output)
		if err != nil {
			return fmt.Errorf("job %d (%s): %w", i, job.Args[0], err)
		}
		if err := status.say(wire.ExitLine(i, exit)); err != nil {
			return err
		}
	}
	return status.say(wire.DoneLine())
}
