package classify

// Bounce types.
const (
	Delivered = "delivered"
	General   = "general" // informational replies, 3xx
	Soft      = "soft"    // may succeed later, or for a reason that is not the address
	Hard      = "hard"    // the address or its domain takes no mail
	Block     = "block"   // the recipient is fine and the sending side was refused
)

// A Category is one reason for a bounce: its type, which follows from the reply's class, and what to do about it.
type Category struct {
	Name      string
	Permanent string // type where the reply's class is 5
	Transient string // where it is 4
	Local     string // where no reply was received; empty: Transient if the message stays in the queue, else Permanent
	Action    string
	Meaning   string
	Advice    string
}

// Categories is the taxonomy: every category, the more telling ones first.
var Categories = []Category{
	{"user_unknown", Hard, Soft, Hard, "suppress_address", "the address does not exist at the receiver", "Stop mailing the address. If many of one domain fail so, check where the list came from."},
	{"inactive_mailbox", Hard, Soft, Hard, "suppress_address", "the mailbox exists but is disabled, locked or abandoned", "Stop mailing the address."},
	{"recipient_moved", Hard, Soft, Hard, "update_address", "the recipient has another address now", "Take over the new address if the reply names it, and stop using the old one."},
	{"bad_address_syntax", Hard, Soft, Hard, "suppress_address", "the address is not one that the receiver accepts as such", "Correct the address, or remove it."},
	{"domain_not_found", Hard, Soft, Hard, "suppress_domain", "the recipient's domain does not exist", "Look for a typing error in the domain; otherwise stop mailing it."},
	{"null_mx", Hard, Soft, Hard, "suppress_domain", "the domain says that it takes no mail", "Stop mailing the domain."},
	{"mailbox_full", Soft, Soft, Soft, "retry", "the mailbox is over its quota", "Nothing at once. Stop mailing the address if it stays so for weeks."},
	{"recipient_refused", Block, Block, "", "stop_for_recipient", "the recipient, or a rule for this group, takes no mail from this sender", "Ask the recipient or their administrator by another way to allow the sender."},
	{"greylisted", Soft, Soft, "", "retry", "the receiver defers mail from senders that it does not know yet", "Nothing: the next try from the same address succeeds. Keep one sending address per message."},
	{"rate_limited", Soft, Soft, "", "slow_down", "too much mail or too many connections in too short a time", "Send more slowly to this provider: fewer connections at once, and a pause after the first deferral."},
	{"too_many_recipients", Soft, Soft, "", "split_recipients", "more recipients in one transaction than the receiver takes", "Lower the number of recipients per message for this destination."},
	{"ip_blocklisted", Block, Block, "", "request_delisting", "the sending address is on a blocklist", "Find out why at the list that the reply names, mend it, and ask there to be removed."},
	{"bad_reputation", Block, Block, "", "slow_down", "the receiver distrusts the sending address or domain", "Send less and only to recipients who react, look at complaints, and contact the provider's postmaster."},
	{"sender_rejected", Block, Block, "", "fix_sender_address", "the sender's address or domain is refused", "Use a sender address that exists, in a domain with MX and A records."},
	{"spam_content", Block, Block, "", "review_content", "the message was judged to be spam", "Look at the message's text, links and list, and at what the recipients had agreed to."},
	{"virus_detected", Block, Block, "", "remove_content", "the message was judged to carry malware", "Remove the attachment or link, and look for an infected machine or account."},
	{"content_rejected", Block, Block, "", "remove_content", "something in the message is forbidden at the receiver", "Remove what the reply names: an attachment's type, a header, a link."},
	{"malformed_message", Block, Block, Block, "fix_message", "the message breaks the rules of its format", "Mend the program that wrote the message: headers, line lengths, character sets."},
	{"policy_rejected", Block, Block, "", "review", "a rule of the receiver that is none of the others", "Read the reply; it mostly names the rule."},
	{"auth_failed", Block, Block, "", "fix_authentication", "SPF, DKIM or DMARC did not pass", "Check that this host is in the SPF record and that DKIM signs with the sender's domain."},
	{"reverse_dns", Block, Block, "", "fix_dns", "the sending address has no name, or one that does not lead back", "Give the sending address a PTR record whose name resolves to it, and use that name in HELO."},
	{"relay_denied", Block, Block, Block, "fix_config", "the host that was asked does not take mail for this domain", "Check the recipient domain's MX record and our own routing; the address may be out of date."},
	{"smtp_auth_required", Block, Block, Block, "fix_config", "the host wants a log-in", "Check routing and credentials of the relay."},
	{"tls_failed", Block, Soft, Soft, "fix_config", "no encrypted connection came about", "Check certificates and TLS policy on both sides."},
	{"protocol_error", Block, Block, Block, "fix_config", "the two servers did not understand each other", "Look at the command that was answered and at middleboxes between."},
	{"message_too_large", Soft, Soft, Soft, "reduce_size", "the message is larger than the receiver takes", "Send a smaller message, or a link."},
	{"connection_failed", Soft, Soft, Soft, "retry", "the host did not answer, or the connection broke", "Nothing at once. If it stays so, check the domain's MX and the network."},
	{"dns_failure", Soft, Soft, Soft, "retry", "the name servers gave no usable answer", "Nothing at once. If it is so for many domains, check our own resolver."},
	{"routing_loop", Soft, Soft, Soft, "fix_config", "the message goes round in a circle", "Find the forwarding or MX record that leads back."},
	{"system_error", Soft, Soft, Soft, "retry", "something is broken at the receiver", "Nothing: it is retried."},
	{"system_full", Soft, Soft, Soft, "retry", "the receiver has no room or no resources", "Nothing: it is retried."},
	{"local_error", Soft, Soft, Soft, "fix_config", "our own delivery failed", "Look at the command, file or configuration that the text names."},
	{"message_expired", Soft, Soft, Soft, "retry_later", "the message was given up after its time in the queue", "Look at the last reply before it: that is the reason."},
	{"suppressed", Hard, Hard, Hard, "suppress_address", "a relay has the address on its own suppression list", "Stop mailing the address, or have it removed from the relay's list if that is wrong."},
	{"other", Hard, Soft, Soft, "review", "the reply says nothing that can be told apart", "Read the reply. A rule of your own can name it."},
	{"informational", General, General, General, "none", "an intermediate reply", "Nothing."},
	{"delivered", Delivered, Delivered, Delivered, "none", "the message was accepted", "Nothing."},
}

var byName = func() map[string]*Category {
	m := map[string]*Category{}
	for i := range Categories {
		m[Categories[i].Name] = &Categories[i]
	}
	return m
}()

// Lookup returns the category of a name, or nil.
func Lookup(name string) *Category { return byName[name] }

// Advice returns what to do about a category; empty for a name that is none.
func Advice(category string) string {
	if c := byName[category]; c != nil {
		return c.Advice
	}
	return ""
}

func categoryNames() []string {
	names := make([]string, len(Categories))
	for i := range Categories {
		names[i] = Categories[i].Name
	}
	return names
}
