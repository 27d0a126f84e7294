package clickhouse

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// Codes are of ClickHouse's src/Common/ErrorCodes.cpp.
const (
	codeNoSuchTable    = 60
	codeNoSuchDatabase = 81
	codeAccessDenied   = 497
)

// passing are the codes of errors that may pass without anybody's help: time-outs, load, memory, disk, replicas, network.
var passing = []int32{159, 202, 203, 209, 210, 236, 241, 242, 243, 252, 254, 279, 285, 286, 290, 319, 364, 384, 425, 999, 1000}

// hints are what an operator can do about the codes that we know.
var hints = map[int32]string{
	16:  "the table lacks a column: run bounceline migrate",
	20:  "the table does not fit this version: run bounceline migrate",
	47:  "the table lacks a column: run bounceline migrate",
	60:  "the table is missing: run bounceline migrate",
	81:  "the database is missing: run bounceline migrate",
	192: "the user is unknown to the server: check the user in the DSN",
	193: "the password is wrong: check the DSN or the password file",
	194: "the password is missing: give it in a file with --clickhouse-password-file",
	195: "the server does not accept this address for the user",
	243: "the disk is nearly full: free space, or move the state directory; nothing is lost, inserting goes on by itself",
	252: "too many parts: the server merges more slowly than rows come; it is tried again",
	497: "the user may not do this: grant it SELECT, INSERT, ALTER and CREATE on the database",
	516: "user or password is wrong: check the DSN or the password file",
}

// Code returns ClickHouse's code of an error, 0 if it is none of the server's.
func Code(err error) int32 {
	var ex *clickhouse.Exception
	if errors.As(err, &ex) {
		return ex.Code
	}
	var low *ch.Exception
	if errors.As(err, &low) {
		return int32(low.Code)
	}
	return 0
}

// Retryable reports whether the same call may succeed later without anybody's help: the server was not reached, or its
// code says so. Errors of schema, rights and data are not.
func Retryable(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, errPermanent) {
		return false
	}
	code := Code(err)
	return code == 0 || slices.Contains(passing, code)
}

var errPermanent = errors.New("permanent")

// permanent marks an error that no retry cures. Its text stays.
type permanent struct{ error }

func (p permanent) Unwrap() []error { return []error{p.error, errPermanent} }

// explain adds what can be done about an error of the server, and never a password.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if h, ok := hints[Code(err)]; ok {
		return fmt.Errorf("%w (%s)", err, h)
	}
	if Code(err) == 0 {
		return explainTransport(err)
	}
	return err
}
