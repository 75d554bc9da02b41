package main

import (
	"context"
	"fmt"
	"io"
	"unicode/utf8"
)

// An act is shown on one screen.
type act struct {
	title string
	parts []func(context.Context) error
}

const (
	mostRows = 40
	columns  = 100
)

// A screen counts the rows that a terminal of 100 columns needs for what is written.
type screen struct {
	io.Writer
	rows, column int
}

// Write implements [io.Writer].
func (s *screen) Write(data []byte) (int, error) {
	for text := string(data); text != ""; {
		r, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		switch {
		case r == '\n':
			s.rows, s.column = s.rows+1, 0
		case s.column == columns:
			s.rows, s.column = s.rows+1, 1
		default:
			s.column++
		}
	}
	return s.Writer.Write(data)
}

// show shows an act under its number and title.
func (s *screen) show(ctx context.Context, number, all int, a act) error {
	s.rows = 0
	fmt.Fprintf(s, "── %d of %d: %s\n\n", number, all, a.title)
	for _, part := range a.parts {
		if err := part(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintln(s)
	if s.rows > mostRows {
		return fmt.Errorf("%s: %d rows, which is more than a screen", a.title, s.rows)
	}
	return nil
}
