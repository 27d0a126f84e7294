package main

import (
	"math/big"
	"net"
	"reflect"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// printRows prints a query's answer and closes it. Instants are shown in the zone, whatever the server's is. It returns
// how many rows there were.
func printRows(rows driver.Rows, zone *time.Location, begin func(columns []string) rowWriter) (int, error) {
	defer rows.Close()
	s := newScanner(rows, zone)
	w := begin(rows.Columns())
	n := 0
	for rows.Next() {
		values, err := s.scan()
		if err != nil {
			return n, err
		}
		if err := w.Write(values); err != nil {
			return n, err
		}
		n++
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	return n, w.Close()
}

// A scanner reads an answer's rows whatever their types are.
type scanner struct {
	rows   driver.Rows
	zone   *time.Location
	types  []driver.ColumnType
	cells  []any
	values []any
}

func newScanner(rows driver.Rows, zone *time.Location) *scanner {
	s := &scanner{rows: rows, zone: zone, types: rows.ColumnTypes()}
	s.cells, s.values = make([]any, len(s.types)), make([]any, len(s.types))
	return s
}

// scan reads the row at hand. The slice is valid until the next call.
func (s *scanner) scan() ([]any, error) {
	for i, t := range s.types {
		s.cells[i] = reflect.New(t.ScanType()).Interface()
	}
	if err := s.rows.Scan(s.cells...); err != nil {
		return nil, err
	}
	for i, c := range s.cells {
		name := s.types[i].DatabaseTypeName()
		date := strings.Contains(name, "Date") && !strings.Contains(name, "DateTime")
		s.values[i] = s.plain(reflect.ValueOf(c).Elem(), date)
	}
	return s.values, nil
}

// plain makes of a driver's value one that output knows: nil, bool, a number, string, []any.
func (s *scanner) plain(v reflect.Value, date bool) any {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		if n, ok := v.Interface().(*big.Int); ok {
			return n.String()
		}
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case time.Time:
		if date {
			return x.Format(time.DateOnly)
		}
		return x.In(s.zone)
	case net.IP:
		return formatValue(x)
	case interface{ String() string }:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return v.String()
	case reflect.Slice, reflect.Array:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = s.plain(v.Index(i), date)
		}
		return out
	case reflect.Map:
		out := []any{}
		for _, k := range v.MapKeys() {
			out = append(out, []any{s.plain(k, date), s.plain(v.MapIndex(k), date)})
		}
		return out
	}
	return v.Interface()
}
