package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/segmentio/kafka-go"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/kafkaconn"
	"bounceline/pipeline/shipped"
)

// A delivery is the sending of one parcel.
type delivery struct {
	*Shipper
	parcel *parcel
	shared bool // a request has failed in a way that leaves it unknown whether it is still being written
}

// send brings the records [lo, hi) into the topic, in their order. Where the brokers refuse them for what one of them is, the
// halves are sent one after the other, until the record is found, which becomes a dead letter. What else may go wrong is tried
// again until ctx is done.
func (d *delivery) send(ctx context.Context, lo, hi int) error {
	reason, err := d.persist(ctx, lo, hi)
	switch {
	case err != nil || reason == nil:
		return err
	case hi-lo == 1:
		return d.bury(ctx, lo, reason)
	}
	mid := lo + (hi-lo)/2
	if err := d.send(ctx, lo, mid); err != nil {
		return err
	}
	return d.send(ctx, mid, hi)
}

// persist sends the records until the brokers have accepted them, or refused them for what they are: that is the first result.
func (d *delivery) persist(ctx context.Context, lo, hi int) (refused, err error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := d.produce(ctx, lo, hi)
		if err == nil || refusesRecord(err) {
			d.Counts.Refuse(nil, time.Now())
			return err, nil
		}
		d.Conn.Transport.CloseIdleConnections() // whatever hangs in one is not waited for
		if err := d.retry(ctx, wait, "the brokers did not take a batch of lines; it is sent again", err); err != nil {
			return nil, err
		}
	}
}

// retry waits for a random part of the time, or returns an error if ctx is done first.
func (d *delivery) retry(ctx context.Context, wait time.Duration, what string, err error) error {
	pause := time.Duration(rand.Int64N(int64(wait)))
	d.Counts.Retries.Add(1)
	d.Counts.Refuse(kafkaconn.Explain(err), time.Now())
	d.Log.Warn(what, "topic", d.Topic, "partition", d.part, "again_in", pause.Round(time.Millisecond), "error", kafkaconn.Explain(err))
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ship to %s: %w (last error: %w)", d.describe(), context.Cause(ctx), err)
	}
}

// produce sends one request and waits until all replicas in sync have it.
func (d *delivery) produce(ctx context.Context, lo, hi int) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := d.Conn.Client.Produce(ctx, &kafka.ProduceRequest{Topic: d.Topic, Partition: d.part, RequiredAcks: kafka.RequireAll,
		Records: newReader(d.parcel, lo, hi, []byte(d.Host), time.Now()), Compression: d.codec.compression})
	if err != nil {
		d.shared = true
		return err
	}
	if errors.Is(r.Error, kafka.InvalidTimestamp) {
		return fmt.Errorf("%w (the records bear the time of now: this host's clock, or the topic's message.timestamp settings, are wrong)", r.Error)
	}
	return r.Error
}

// requestTimeout bounds a request. It is above what a cluster takes to elect leaders.
const requestTimeout = 30 * time.Second

// refusesRecord reports whether an error is about the records, so that sending them again is of no use. InvalidTimestamp is
// none: all records bear the time of sending, so that it speaks of clocks.
func refusesRecord(err error) bool {
	return errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge) || errors.Is(err, kafka.InvalidRecord)
}

// bury keeps a record that the brokers refuse. Where that cannot be done it is tried again, however long: the line would be lost.
func (d *delivery) bury(ctx context.Context, i int, reason error) error {
	header, value := d.parcel.parts(i)
	o, err := shipped.Parse(header)
	if err != nil {
		return err
	}
	letter := batch.Dead{Stream: o.Stream, Source: o.Source, Pos: o.From, Line: value, Reason: reason.Error(),
		Record: &batch.Record{Topic: d.Topic, Partition: d.part, Offset: notTaken, Key: []byte(d.Host), Header: header}}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		_, err := d.Dead.Bury([]batch.Dead{letter})
		if err == nil {
			d.Counts.Dead.Add(1)
			d.Log.Error("the brokers refuse a line; it is kept as a dead letter, see bounceline dlq, and the others are sent", "topic", d.Topic,
				"bytes", len(value), "reason", reason)
			return nil
		}
		if err := d.retry(ctx, wait, "a line that the brokers refuse cannot be kept; nothing is sent before it is", err); err != nil {
			return err
		}
	}
}

// notTaken is the offset of a line that the brokers did not take.
const notTaken = -1
