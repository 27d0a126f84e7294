package clickhouse

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2"

	"bounceline/pipeline"
)

// Codes are of ClickHouse's src/Common/ErrorCodes.cpp. Those that mean something to a command are exported.
const (
	codeNoSuchTable    = 60
	codeNoSuchDatabase = 81
	CodeAborted        = 236
	codeTooManyParts   = 252
	CodeNoParameter    = 456
	CodeAccessDenied   = 497
)

// A reaction is what an error's code calls for.
type reaction uint8

const (
	stop   reaction = iota // somebody must act: of schema, rights, or not known
	pass                   // it may pass without anybody's help: time-outs, load, memory, disk, replicas, network
	poison                 // a value of a row cannot be stored
)

// full is the hint for errors of the server's files.
const full = "the server cannot write its files: see whether its disk is full or failing; nothing is lost, inserting goes on by itself"

// codes is what is known about the server's codes. One that is not here stops.
var codes = map[int32]struct {
	reaction reaction
	hint     string
}{
	75:               {pass, full}, // CANNOT_WRITE_TO_FILE_DESCRIPTOR
	76:               {pass, full}, // CANNOT_OPEN_FILE
	159:              {pass, ""},   // TIMEOUT_EXCEEDED
	202:              {pass, ""},   // TOO_MANY_SIMULTANEOUS_QUERIES
	203:              {pass, ""},   // NO_FREE_CONNECTION
	209:              {pass, ""},   // SOCKET_TIMEOUT
	210:              {pass, ""},   // NETWORK_ERROR
	CodeAborted:      {pass, ""},   // also what an engine answers that is crashing
	241:              {pass, "the server is short of memory; it is tried again"},
	242:              {pass, "the table is read-only just now; it is tried again"},
	243:              {pass, "the disk is nearly full: free space, or move the state directory; nothing is lost, inserting goes on by itself"},
	codeTooManyParts: {pass, "too many parts: the server merges more slowly than rows come; it is tried again, more slowly"},
	254:              {pass, ""},   // ALL_REPLICAS_ARE_STALE, or too few
	279:              {pass, ""},   // ALL_CONNECTION_TRIES_FAILED
	285:              {pass, ""},   // TOO_FEW_LIVE_REPLICAS
	286:              {pass, ""},   // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
	290:              {pass, ""},   // LIMIT_EXCEEDED
	319:              {pass, ""},   // UNKNOWN_STATUS_OF_INSERT
	364:              {pass, ""},   // DISTRIBUTED_IN_BETWEEN_MERGES, of old servers
	384:              {pass, ""},   // PART_IS_TEMPORARILY_LOCKED
	425:              {pass, ""},   // SYSTEM_ERROR
	999:              {pass, ""},   // KEEPER_EXCEPTION
	1000:             {pass, ""},   // POCO_EXCEPTION
	1001:             {pass, full}, // STD_EXCEPTION: what the C++ library says of files

	16:                 {stop, "no such column; if the SQL is right the table is of an older version: run bounceline migrate"},
	20:                 {stop, "the table does not fit this version: run bounceline migrate"},
	47:                 {stop, "no such column; if the SQL is right the table is of an older version: run bounceline migrate"},
	codeNoSuchTable:    {stop, "no such table; if the SQL is right: run bounceline migrate"},
	codeNoSuchDatabase: {stop, "the database is missing: run bounceline migrate"},
	192:                {stop, "the user is unknown to the server: check the user in the DSN"},
	193:                {stop, "the password is wrong: check the DSN or the password file"},
	194:                {stop, "the password is missing: give it in a file with --clickhouse-password-file"},
	195:                {stop, "the server does not accept this address for the user"},
	291:                {stop, "the user may not use the database: grant it"},
	CodeAccessDenied:   {stop, "the user may not do this: grant it SELECT, INSERT, ALTER and CREATE on the database"},
	516:                {stop, "user or password is wrong: check the DSN or the password file"},

	6:   {poison, ""}, // CANNOT_PARSE_TEXT
	26:  {poison, ""}, // CANNOT_PARSE_QUOTED_STRING
	27:  {poison, ""}, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
	38:  {poison, ""}, // CANNOT_PARSE_DATE
	41:  {poison, ""}, // CANNOT_PARSE_DATETIME
	53:  {poison, ""}, // TYPE_MISMATCH
	72:  {poison, ""}, // CANNOT_PARSE_NUMBER
	117: {poison, ""}, // INCORRECT_DATA
	321: {poison, ""}, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE, of old servers
	349: {poison, ""}, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
	469: {poison, ""}, // VIOLATED_CONSTRAINT
	691: {poison, ""}, // UNKNOWN_ELEMENT_OF_ENUM
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
// code says so. Errors of schema, rights, data and views are not.
func Retryable(err error) bool {
	if err == nil || errors.Is(err, errPermanent) {
		return false
	}
	code := Code(err)
	return code == 0 || codes[code].reaction == pass
}

var errPermanent = errors.New("permanent")

// permanent marks an error that no retry cures. Its text stays.
type permanent struct{ error }

func (p permanent) Unwrap() []error { return []error{p.error, errPermanent} }

// marked is an error with what it means to the pipeline.
type marked struct {
	error
	meaning error
}

func (m marked) Unwrap() []error { return []error{m.error, m.meaning} }

// fromView is in the text of errors of a materialised view (ClickHouse's src/Interpreters/InsertDependenciesBuilder.cpp,
// earlier src/Processors/Transforms/buildPushingToViewsChain.cpp): the rows themselves were taken.
const fromView = "while pushing to view"

// explain adds to an error of the server what can be done about it and what it means to the pipeline, and never a password.
func explain(err error) error {
	if err == nil {
		return nil
	}
	code := Code(err)
	if code == 0 {
		return explainTransport(err)
	}
	c := codes[code]
	if c.hint != "" {
		err = fmt.Errorf("%w (%s)", err, c.hint)
	}
	switch {
	case code == codeTooManyParts:
		return marked{err, pipeline.ErrCrowded}
	case strings.Contains(err.Error(), fromView):
		if c.reaction == pass {
			return err
		}
		return permanent{fmt.Errorf("%w (the rows are right, and a materialised view refuses them: mend or drop the view)", err)}
	case c.reaction == poison:
		return marked{err, pipeline.ErrPoison}
	}
	return err
}
