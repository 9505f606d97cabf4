package target

import (
	"errors"
	"fmt"
	"regexp/syntax"
)

// regexpFault says what is wrong with expr and at which byte, counted from 1.
//
// Package syntax tells the kind of fault and often a piece of text, but not where that piece is. Here the shortest front
// part of expr is looked for from which on the same fault is there; the fault ends where that part ends.
func regexpFault(expr string, err error) string {
	var fault *syntax.Error
	if !errors.As(err, &fault) {
		return err.Error()
	}
	const most = 1024 // parsing every front part is quadratic
	if len(expr) > most {
		return fault.Code.String()
	}
	end := len(expr)
	for end > 1 {
		shorter := faultOf(expr[:end-1])
		if shorter == nil || shorter.Code != fault.Code {
			break
		}
		end--
		fault = shorter
	}
	at := end
	switch fault.Code {
	case syntax.ErrMissingParen, syntax.ErrUnexpectedParen, syntax.ErrTrailingBackslash, syntax.ErrInvalidUTF8,
		syntax.ErrLarge, syntax.ErrNestingDepth:
		// The text told is all of expr or nothing.
	default:
		at = max(1, end-len(fault.Expr)+1)
	}
	return fmt.Sprintf("%s at position %d", fault.Code, at)
}

func faultOf(expr string) *syntax.Error {
	var fault *syntax.Error
	_, err := syntax.Parse(expr, syntax.Perl)
	errors.As(err, &fault)
	return fault
}
