package classify

import (
	"strings"
	"unsafe"
)

// A BasicCode is a reply code and what it is taken for where nothing else says more.
type BasicCode struct {
	Code     uint16
	Category string
	Meaning  string
	Source   string // where it is defined
}

// acquits reports whether servers that give the code do not mean that the recipient's address is bad: it is about the log-in or
// the command.
func (c *BasicCode) acquits() bool {
	return c.Category == "smtp_auth_required" || c.Code == 502
}

// BasicCodes is the reply codes of SMTP: RFC 5321, section 4.2.3, and its extensions.
var BasicCodes = []BasicCode{
	{211, "delivered", "system status, or system help reply", "RFC 5321"},
	{214, "delivered", "help message", "RFC 5321"},
	{220, "delivered", "service ready", "RFC 5321"},
	{221, "delivered", "service closing transmission channel", "RFC 5321"},
	{235, "delivered", "authentication succeeded", "RFC 4954"},
	{250, "delivered", "requested mail action okay, completed", "RFC 5321"},
	{251, "delivered", "user not local; will forward", "RFC 5321"},
	{252, "delivered", "cannot verify the user, but will accept the message and attempt delivery", "RFC 5321"},
	{253, "delivered", "pending messages started", "RFC 1985"},
	{334, "informational", "authentication challenge", "RFC 4954"},
	{354, "informational", "start mail input", "RFC 5321"},
	{421, "system_error", "service not available, closing transmission channel", "RFC 5321"},
	{432, "smtp_auth_required", "a password transition is needed", "RFC 4954"},
	{450, "other", "requested mail action not taken: mailbox unavailable", "RFC 5321"},
	{451, "system_error", "requested action aborted: local error in processing", "RFC 5321"},
	{452, "system_full", "requested action not taken: insufficient system storage", "RFC 5321"},
	{453, "other", "you have no mail", "RFC 2645"},
	{454, "tls_failed", "temporary authentication failure, or TLS not available", "RFC 4954, RFC 3207"},
	{455, "protocol_error", "server unable to accommodate parameters", "RFC 5321"},
	{458, "system_error", "unable to queue messages for the node", "RFC 1985"},
	{459, "policy_rejected", "node not allowed", "RFC 1985"},
	{500, "protocol_error", "syntax error, command unrecognized", "RFC 5321"},
	{501, "protocol_error", "syntax error in parameters or arguments", "RFC 5321"},
	{502, "protocol_error", "command not implemented", "RFC 5321"},
	{503, "protocol_error", "bad sequence of commands", "RFC 5321"},
	{504, "protocol_error", "command parameter not implemented", "RFC 5321"},
	{521, "null_mx", "host does not accept mail", "RFC 7504"},
	{530, "smtp_auth_required", "authentication required, or STARTTLS must be issued first", "RFC 4954, RFC 3207"},
	{534, "smtp_auth_required", "authentication mechanism is too weak", "RFC 4954"},
	{535, "smtp_auth_required", "authentication credentials invalid", "RFC 4954"},
	{538, "smtp_auth_required", "encryption required for the requested authentication mechanism", "RFC 4954"},
	{550, "user_unknown", "requested action not taken: mailbox unavailable", "RFC 5321"},
	{551, "recipient_moved", "user not local; please try another path", "RFC 5321"},
	{552, "mailbox_full", "requested mail action aborted: exceeded storage allocation", "RFC 5321"},
	{553, "bad_address_syntax", "requested action not taken: mailbox name not allowed", "RFC 5321"},
	{554, "policy_rejected", "transaction failed", "RFC 5321"},
	{555, "protocol_error", "MAIL FROM or RCPT TO parameters not recognized or not implemented", "RFC 5321"},
	{556, "null_mx", "domain does not accept mail", "RFC 7504"},
}

var basicByCode = func() (by [600]*BasicCode) {
	for i := range BasicCodes {
		by[BasicCodes[i].Code] = &BasicCodes[i]
	}
	return by
}()

// LookupBasic returns what a basic code means, nil for one that no document defines.
func LookupBasic(code uint16) *BasicCode {
	if int(code) < len(basicByCode) {
		return basicByCode[code]
	}
	return nil
}

// besides are the basic codes that no document about SMTP defines and that the registry of enhanced codes names as associated with one. Servers
// use them for much else, so that no verdict rests on them.
var besides = map[uint16]string{422: "7.12", 430: "5.1", 523: "7.10", 524: "7.11", 525: "7.13", 533: "7.1"}

// LookupBeside returns the enhanced code that the registry (RFC 5248) associates with a basic code which LookupBasic does not know; nil
// if there is none.
func LookupBeside(code uint16) *EnhancedCode { return enhancedByCode[besides[code]] }

// An EnhancedCode is an entry of the registry of enhanced status codes (RFC 5248) without its class, and what it is taken for
// where nothing else says more.
type EnhancedCode struct {
	Code     string // subject.detail
	Category string
	Trusted  bool // servers use it for what it says: it beats vague text
	Meaning  string
	Source   string
}

// precise reports whether the code says more than its subject.
func (c *EnhancedCode) precise() bool {
	return !strings.HasSuffix(c.Code, ".0") && !strings.HasSuffix(c.Code, ".*")
}

// Proves reports whether the code by itself, where no words say more, is proof of its category: it says more than its subject, and servers do not
// give it for all and everything, as they do those of closed mailboxes, routes and ambiguous addresses.
func (c *EnhancedCode) Proves() bool {
	switch c.Code {
	case "1.4", "2.1", "4.4":
		return false
	}
	return c.precise()
}

// acquits reports whether servers that give the code do not mean that the recipient's address is bad, whatever their words say: it
// is about the sender, the message, the system or the way to it. Those that are given for all and everything do not count.
func (c *EnhancedCode) acquits() bool {
	switch c.Code {
	case "1.7", "1.8", "2.2", "4.1", "4.4", "5.2", "5.4", "7.1":
		return false
	}
	return c.precise() && c.Category != "other" && !aboutRecipient(c.Category)
}

// yields reports whether a sentence that the recipient is unknown is to be believed against the code, which is about the server or the way to it.
func (c *EnhancedCode) yields() bool {
	return c.Code == "3.2" || c.Code == "4.5" || c.Code == "4.6"
}

// EnhancedCodes is the whole registry, in its order. RFC 3463 where no other document is named.
var EnhancedCodes = []EnhancedCode{
	{"0.0", "other", false, "other undefined status", "RFC 3463"},
	{"1.0", "user_unknown", false, "other address status", "RFC 3463"},
	{"1.1", "user_unknown", false, "bad destination mailbox address", "RFC 3463"},
	{"1.2", "domain_not_found", false, "bad destination system address", "RFC 3463"},
	{"1.3", "bad_address_syntax", false, "bad destination mailbox address syntax", "RFC 3463"},
	{"1.4", "user_unknown", false, "destination mailbox address ambiguous", "RFC 3463"},
	{"1.5", "other", false, "destination address valid", "RFC 3463"},
	{"1.6", "recipient_moved", true, "destination mailbox has moved, no forwarding address", "RFC 3463"},
	{"1.7", "sender_rejected", false, "bad sender's mailbox address syntax", "RFC 3463"},
	{"1.8", "sender_rejected", false, "bad sender's system address", "RFC 3463"},
	{"1.9", "protocol_error", false, "message relayed to non-compliant mailer", "RFC 3886"},
	{"1.10", "null_mx", true, "recipient address has null MX", "RFC 7505"},
	{"2.0", "inactive_mailbox", false, "other or undefined mailbox status", "RFC 3463"},
	{"2.1", "inactive_mailbox", false, "mailbox disabled, not accepting messages", "RFC 3463"},
	{"2.2", "mailbox_full", true, "mailbox full", "RFC 3463"},
	{"2.3", "message_too_large", false, "message length exceeds administrative limit", "RFC 3463"},
	{"2.4", "recipient_refused", false, "mailing list expansion problem", "RFC 3463"},
	{"3.0", "system_error", false, "other or undefined mail system status", "RFC 3463"},
	{"3.1", "system_full", false, "mail system full", "RFC 3463"},
	{"3.2", "system_error", false, "system not accepting network messages", "RFC 3463"},
	{"3.3", "protocol_error", false, "system not capable of selected features", "RFC 3463"},
	{"3.4", "message_too_large", true, "message too big for system", "RFC 3463"},
	{"3.5", "local_error", false, "system incorrectly configured", "RFC 3463"},
	{"3.6", "other", false, "requested priority was changed", "RFC 6710"},
	{"4.0", "connection_failed", false, "other or undefined network or routing status", "RFC 3463"},
	{"4.1", "connection_failed", false, "no answer from host", "RFC 3463"},
	{"4.2", "connection_failed", false, "bad connection", "RFC 3463"},
	{"4.3", "dns_failure", false, "directory server failure", "RFC 3463"},
	{"4.4", "domain_not_found", false, "unable to route", "RFC 3463"},
	{"4.5", "rate_limited", false, "mail system congestion", "RFC 3463"},
	{"4.6", "routing_loop", true, "routing loop detected", "RFC 3463"},
	{"4.7", "message_expired", false, "delivery time expired", "RFC 3463"},
	{"5.0", "protocol_error", false, "other or undefined protocol status", "RFC 3463"},
	{"5.1", "protocol_error", false, "invalid command", "RFC 3463"},
	{"5.2", "protocol_error", false, "syntax error", "RFC 3463"},
	{"5.3", "too_many_recipients", true, "too many recipients", "RFC 3463"},
	{"5.4", "protocol_error", false, "invalid command arguments", "RFC 3463"},
	{"5.5", "protocol_error", false, "wrong protocol version", "RFC 3463"},
	{"5.6", "protocol_error", false, "authentication exchange line is too long", "RFC 4954"},
	{"6.0", "malformed_message", false, "other or undefined media error", "RFC 3463"},
	{"6.1", "content_rejected", false, "media not supported", "RFC 3463"},
	{"6.2", "content_rejected", false, "conversion required and prohibited", "RFC 3463"},
	{"6.3", "malformed_message", false, "conversion required but not supported", "RFC 3463"},
	{"6.4", "malformed_message", false, "conversion with loss performed", "RFC 3463"},
	{"6.5", "malformed_message", false, "conversion failed", "RFC 3463"},
	{"6.6", "malformed_message", false, "message content not available", "RFC 4468"},
	{"6.7", "protocol_error", false, "non-ASCII addresses not permitted for that sender or recipient", "RFC 6531"},
	{"6.8", "protocol_error", false, "UTF-8 string reply is required, but not permitted by the SMTP client", "RFC 6531"},
	{"6.9", "protocol_error", false, "UTF-8 header message cannot be transferred to one or more recipients", "RFC 6531"},
	{"6.10", "protocol_error", false, "a duplicate of X.6.8, not to be used", "RFC 6531"},
	{"7.0", "policy_rejected", false, "other or undefined security status", "RFC 3463"},
	{"7.1", "policy_rejected", false, "delivery not authorized, message refused", "RFC 3463"},
	{"7.2", "recipient_refused", false, "mailing list expansion prohibited", "RFC 3463"},
	{"7.3", "policy_rejected", false, "security conversion required but not possible", "RFC 3463"},
	{"7.4", "tls_failed", false, "security features not supported", "RFC 3463"},
	{"7.5", "auth_failed", false, "cryptographic failure", "RFC 3463"},
	{"7.6", "auth_failed", false, "cryptographic algorithm not supported", "RFC 3463"},
	{"7.7", "auth_failed", false, "message integrity failure", "RFC 3463"},
	{"7.8", "smtp_auth_required", false, "authentication credentials invalid", "RFC 4954"},
	{"7.9", "auth_failed", false, "authentication mechanism is too weak", "RFC 4954"},
	{"7.10", "tls_failed", false, "encryption needed", "RFC 5248"},
	{"7.11", "smtp_auth_required", false, "encryption required for requested authentication mechanism", "RFC 4954"},
	{"7.12", "smtp_auth_required", false, "a password transition is needed", "RFC 4954"},
	{"7.13", "inactive_mailbox", false, "user account disabled", "RFC 5248"},
	{"7.14", "smtp_auth_required", false, "trust relationship required", "RFC 5248"},
	{"7.15", "system_error", false, "priority level is too low", "RFC 6710"},
	{"7.16", "message_too_large", false, "message is too big for the specified priority", "RFC 6710"},
	{"7.17", "recipient_moved", false, "mailbox owner has changed", "RFC 7293"},
	{"7.18", "recipient_moved", false, "domain owner has changed", "RFC 7293"},
	{"7.19", "policy_rejected", false, "test of the recipient's validity since a date cannot be completed", "RFC 7293"},
	{"7.20", "auth_failed", false, "no passing DKIM signature found", "RFC 7372"},
	{"7.21", "auth_failed", false, "no acceptable DKIM signature found", "RFC 7372"},
	{"7.22", "auth_failed", false, "no valid author-matched DKIM signature found", "RFC 7372"},
	{"7.23", "auth_failed", true, "SPF validation failed", "RFC 7372"},
	{"7.24", "auth_failed", true, "SPF validation error", "RFC 7372"},
	{"7.25", "reverse_dns", true, "reverse DNS validation failed", "RFC 7372"},
	{"7.26", "auth_failed", true, "multiple authentication checks failed", "RFC 7372"},
	{"7.27", "sender_rejected", true, "sender address has null MX", "RFC 7505"},
	{"7.28", "rate_limited", false, "mail flood detected", "IANA registry"},
	{"7.29", "auth_failed", false, "ARC validation failure", "RFC 8617"},
	{"7.30", "tls_failed", false, "REQUIRETLS support required", "RFC 8689"},
}

// Subjects are what a code means whose detail is not registered (RFC 3463, section 3).
var Subjects = []EnhancedCode{
	{"0.*", "other", false, "other or undefined status", "RFC 3463"},
	{"1.*", "user_unknown", false, "address status", "RFC 3463"},
	{"2.*", "other", false, "mailbox status", "RFC 3463"},
	{"3.*", "system_error", false, "mail system status", "RFC 3463"},
	{"4.*", "connection_failed", false, "network and routing status", "RFC 3463"},
	{"5.*", "protocol_error", false, "mail delivery protocol status", "RFC 3463"},
	{"6.*", "content_rejected", false, "message content or media status", "RFC 3463"},
	{"7.*", "policy_rejected", false, "security or policy status", "RFC 3463"},
}

var enhancedByCode = func() map[string]*EnhancedCode {
	m := make(map[string]*EnhancedCode, len(EnhancedCodes))
	for i := range EnhancedCodes {
		m[EnhancedCodes[i].Code] = &EnhancedCodes[i]
	}
	return m
}()

// LookupEnhanced returns what a code such as 5.1.1 means; a detail that is not registered means what its subject does. Nil is
// no such code.
func LookupEnhanced(code string) *EnhancedCode {
	if len(code) < 5 || code[1] != '.' {
		return nil
	}
	if e := enhancedByCode[code[2:]]; e != nil {
		return e
	}
	if s := code[2]; '0' <= s && s <= '7' && code[3] == '.' {
		return &Subjects[s-'0']
	}
	return nil
}

func lookupEnhanced(code []byte) (*EnhancedCode, bool) {
	e := LookupEnhanced(unsafe.String(unsafe.SliceData(code), len(code)))
	return e, e != nil
}
