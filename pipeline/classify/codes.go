package classify

// basic gives the category that a basic code (RFC 5321, section 4.2.3; RFC 4954; RFC 7504) means where nothing else says more.
var basic = map[uint16]string{
	421: "system_error", 422: "mailbox_full", 431: "system_full", 432: "system_error", 441: "connection_failed", 442: "connection_failed",
	446: "routing_loop", 447: "message_expired", 449: "dns_failure", 450: "other", 451: "system_error", 452: "system_full", 454: "tls_failed",
	455: "protocol_error", 458: "system_error", 459: "policy_rejected",
	500: "protocol_error", 501: "protocol_error", 502: "protocol_error", 503: "protocol_error", 504: "protocol_error", 510: "bad_address_syntax",
	511: "user_unknown", 512: "domain_not_found", 513: "bad_address_syntax", 515: "bad_address_syntax", 521: "null_mx", 523: "message_too_large", 530: "smtp_auth_required",
	534: "smtp_auth_required", 535: "smtp_auth_required", 538: "smtp_auth_required", 541: "spam_content", 543: "system_error",
	550: "user_unknown", 551: "recipient_moved", 552: "mailbox_full", 553: "bad_address_syntax", 554: "policy_rejected", 555: "protocol_error", 556: "null_mx",
	571: "policy_rejected", 572: "policy_rejected",
}

// An enhancedCode is an entry of the registry of enhanced status codes (RFC 5248) without its class.
type enhancedCode struct {
	category string
	trusted  bool // servers use it for what it says: it beats vague text
}

var enhanced = map[string]enhancedCode{
	"0.0": {"other", false}, "1.0": {"user_unknown", false}, "1.1": {"user_unknown", false}, "1.2": {"domain_not_found", false},
	"1.3": {"bad_address_syntax", false}, "1.4": {"user_unknown", false}, "1.6": {"recipient_moved", true}, "1.7": {"sender_rejected", true},
	"1.8": {"sender_rejected", true}, "1.9": {"protocol_error", false}, "1.10": {"null_mx", true},
	"2.0": {"inactive_mailbox", false}, "2.1": {"inactive_mailbox", false}, "2.2": {"mailbox_full", true}, "2.3": {"message_too_large", true}, "2.4": {"recipient_refused", false},
	"3.0": {"system_error", false}, "3.1": {"system_full", false}, "3.2": {"system_error", false}, "3.3": {"protocol_error", false}, "3.4": {"message_too_large", true},
	"3.5": {"local_error", false}, "3.6": {"system_error", false},
	"4.0": {"connection_failed", false}, "4.1": {"connection_failed", false}, "4.2": {"connection_failed", false}, "4.3": {"dns_failure", false}, "4.4": {"domain_not_found", false},
	"4.5": {"rate_limited", false}, "4.6": {"routing_loop", true}, "4.7": {"message_expired", false}, "4.8": {"policy_rejected", false},
	"5.0": {"protocol_error", false}, "5.1": {"protocol_error", false}, "5.2": {"protocol_error", false}, "5.3": {"too_many_recipients", true}, "5.4": {"protocol_error", false},
	"5.5": {"protocol_error", false}, "5.6": {"protocol_error", false},
	"6.0": {"malformed_message", false}, "6.1": {"content_rejected", false}, "6.2": {"content_rejected", false}, "6.3": {"malformed_message", false}, "6.4": {"malformed_message", false},
	"6.5": {"malformed_message", false}, "6.6": {"malformed_message", false}, "6.7": {"protocol_error", false}, "6.8": {"protocol_error", false}, "6.9": {"protocol_error", false}, "6.10": {"protocol_error", false},
	"7.0": {"policy_rejected", false}, "7.1": {"policy_rejected", false}, "7.2": {"recipient_refused", false}, "7.3": {"policy_rejected", false}, "7.4": {"tls_failed", false},
	"7.5": {"auth_failed", false}, "7.6": {"auth_failed", false}, "7.7": {"auth_failed", false}, "7.8": {"smtp_auth_required", false}, "7.9": {"auth_failed", false},
	"7.10": {"tls_failed", false}, "7.11": {"tls_failed", false}, "7.12": {"smtp_auth_required", false}, "7.13": {"inactive_mailbox", false}, "7.14": {"smtp_auth_required", false},
	"7.15": {"system_error", false}, "7.16": {"system_error", false}, "7.17": {"recipient_moved", false}, "7.18": {"domain_not_found", false}, "7.19": {"policy_rejected", false},
	"7.20": {"auth_failed", true}, "7.21": {"auth_failed", true}, "7.22": {"auth_failed", true}, "7.23": {"auth_failed", true}, "7.24": {"auth_failed", true},
	"7.25": {"reverse_dns", true}, "7.26": {"auth_failed", true}, "7.27": {"sender_rejected", true}, "7.28": {"rate_limited", false}, "7.29": {"auth_failed", false}, "7.30": {"tls_failed", false},
}

// subjects are what a code means whose detail is not registered (RFC 3463, section 3).
var subjects = [8]string{"other", "user_unknown", "other", "system_error", "connection_failed", "protocol_error", "content_rejected", "policy_rejected"}

// lookupEnhanced returns what a code such as 5.1.1 means; ok is false where it is none.
func lookupEnhanced(code []byte) (enhancedCode, bool) {
	if len(code) < 5 || code[1] != '.' {
		return enhancedCode{}, false
	}
	if e, ok := enhanced[string(code[2:])]; ok {
		return e, true
	}
	if s := code[2]; '0' <= s && s <= '7' && code[3] == '.' {
		return enhancedCode{category: subjects[s-'0']}, true
	}
	return enhancedCode{}, false
}
