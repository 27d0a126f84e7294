// Package fault names the places where a test build kills, delays or fails the process. In other builds a point costs
// nothing. A test build is made with the build tag "faults" and obeys the variable BOUNCELINE_FAULTS, see At.
package fault

// The points. What is named "before" has no effect on disk or in the database yet; what is named "after" has.
const (
	BeforeIntent = "before-intent"
	AfterIntent  = "after-intent"
	BeforeInsert = "before-insert"
	AfterInsert  = "after-insert"
	BeforeLedger = "before-ledger"
	AfterLedger  = "after-ledger"
	BeforeCommit = "before-commit"
	AfterCommit  = "after-commit"

	BeforeSend = "before-send" // to Kafka
	AfterSend  = "after-send"  // the brokers have it, and the checkpoint does not say so

	CheckpointWritten = "checkpoint-written" // the new file is written, and not synced
	CheckpointSynced  = "checkpoint-synced"  // it is synced
	CheckpointLinked  = "checkpoint-linked"  // the copy of the old one is there
	CheckpointRenamed = "checkpoint-renamed" // the new one is at its place, and the directory is not synced

	RemovalNoted  = "removal-noted"  // of a stream: the database knows that it is to go
	LedgerRemoved = "ledger-removed" // the ledger does not have it any more
	RowsRemoved   = "rows-removed"   // nor are its rows there
	RollupsMended = "rollups-mended" // nor are they in the sums

	RotationSeen  = "rotation-seen"  // a file has left its path
	FileOpened    = "file-opened"    // a file was opened, and is in no checkpoint
	FileNamed     = "file-named"     // it has a name, and is in no checkpoint
	FileSaved     = "file-saved"     // it is in the checkpoint, and nothing of it was sent
	FileTruncated = "file-truncated" // a file was seen to be cut
	FileDone      = "file-done"      // a rotated file was read to its end
)

// What is killed at which of them.
var (
	Storing   = []string{BeforeIntent, AfterIntent, BeforeInsert, AfterInsert, BeforeLedger, AfterLedger, BeforeCommit, AfterCommit}
	Following = []string{CheckpointWritten, CheckpointSynced, CheckpointLinked, CheckpointRenamed,
		RotationSeen, FileOpened, FileNamed, FileSaved, FileTruncated, FileDone}
	Shipping = []string{BeforeSend, AfterSend}
	Removing = []string{RemovalNoted, LedgerRemoved, RowsRemoved, RollupsMended}
)

// Around calls f between two points.
func Around(before, after string, f func() error) error {
	if err := At(before); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return At(after)
}
