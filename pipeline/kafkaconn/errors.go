package kafkaconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/segmentio/kafka-go"
)

// hints are what an operator can do about the brokers' error codes. Codes are of the Kafka protocol guide, "Error Codes".
var hints = map[kafka.Error]string{
	kafka.SASLAuthenticationFailed:     "user or password is wrong",
	kafka.UnsupportedSASLMechanism:     "the broker does not offer this kind of sasl: try another one",
	kafka.IllegalSASLState:             "the broker wants another kind of sasl",
	kafka.TopicAuthorizationFailed:     "the user may not use this topic: allow it with kafka-acls",
	kafka.GroupAuthorizationFailed:     "the user may not use this consumer group: allow it with kafka-acls",
	kafka.ClusterAuthorizationFailed:   "the user may not do this in the cluster: allow it with kafka-acls",
	kafka.InvalidTopic:                 "this can be no topic's name",
	kafka.UnknownTopicOrPartition:      "there is no such topic: create it, or correct its name",
	kafka.UnsupportedVersion:           "the broker is too old or too new for this client",
	kafka.GroupCoordinatorNotAvailable: "the cluster is starting; it is tried again",
}

// permanent are the codes that no retry cures.
var permanent = []kafka.Error{kafka.SASLAuthenticationFailed, kafka.UnsupportedSASLMechanism, kafka.IllegalSASLState,
	kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed, kafka.InvalidTopic}

// Permanent reports whether connecting again is of no use before somebody has changed something.
func Permanent(err error) bool {
	if err == nil {
		return false
	}
	var code kafka.Error
	if errors.As(err, &code) {
		for _, p := range permanent {
			if code == p {
				return true
			}
		}
		return false
	}
	return security(err) != ""
}

// Explain adds what can be done about an error of connecting, and never a password.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	var code kafka.Error
	if errors.As(err, &code) {
		if hint, ok := hints[code]; ok {
			return fmt.Errorf("%w (%s)", err, hint)
		}
		return err
	}
	if hint := security(err); hint != "" {
		return fmt.Errorf("%w (%s)", err, hint)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w (the broker closed the connection: does this port want TLS or a password?)", err)
	}
	return err
}

// security says what is wrong between the certificates of both sides.
func security(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &authority):
		return "nobody vouches for the broker's certificate: name the PEM file of its authority"
	case errors.As(err, &host):
		return "the broker's certificate is of another host: connect by the name that stands in it"
	case errors.As(err, &invalid):
		return "the broker's certificate is not valid now: look at its dates and the clock"
	case errors.As(err, &record):
		return "this port does not speak TLS: use the broker's TLS port, or leave TLS out"
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		return "the broker refused the client's certificate, or wants one"
	}
	return ""
}
