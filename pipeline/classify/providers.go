package classify

import (
	"slices"

	"bounceline/pipeline/record"
)

// providers tells mailbox providers and gateways by the end of a relay's name or of a recipient's domain.
var providers = []struct{ suffix, name string }{
	{"google.com", "Google"}, {"googlemail.com", "Google"}, {"gmail.com", "Google"},
	{"olc.protection.outlook.com", "Outlook.com"}, {"hotmail.com", "Outlook.com"}, {"outlook.com", "Microsoft 365"}, {"live.com", "Outlook.com"}, {"msn.com", "Outlook.com"},
	{"protection.outlook.com", "Microsoft 365"}, {"mx.microsoft", "Microsoft 365"},
	{"yahoodns.net", "Yahoo/AOL"}, {"yahoo.com", "Yahoo/AOL"}, {"aol.com", "Yahoo/AOL"}, {"ymail.com", "Yahoo/AOL"}, {"rocketmail.com", "Yahoo/AOL"},
	{"icloud.com", "Apple"}, {"me.com", "Apple"}, {"mac.com", "Apple"}, {"apple.com", "Apple"},
	{"comcast.net", "Comcast"}, {"orange.fr", "Orange"}, {"wanadoo.fr", "Orange"}, {"sfr.fr", "SFR"}, {"free.fr", "Free"}, {"laposte.net", "La Poste"},
	{"gmx.net", "GMX/web.de"}, {"gmx.de", "GMX/web.de"}, {"web.de", "GMX/web.de"}, {"kundenserver.de", "IONOS"}, {"ionos.com", "IONOS"}, {"t-online.de", "T-Online"},
	{"mail.ru", "Mail.ru"}, {"yandex.ru", "Yandex"}, {"yandex.net", "Yandex"}, {"rambler.ru", "Rambler"}, {"qq.com", "Tencent QQ"}, {"163.com", "NetEase"}, {"126.com", "NetEase"}, {"netease.com", "NetEase"},
	{"zoho.com", "Zoho"}, {"zoho.eu", "Zoho"}, {"pphosted.com", "Proofpoint"}, {"ppe-hosted.com", "Proofpoint"}, {"mimecast.com", "Mimecast"}, {"barracudanetworks.com", "Barracuda"},
	{"iphmx.com", "Cisco"}, {"cloudflare.net", "Cloudflare"}, {"messagelabs.com", "Broadcom"}, {"trendmicro.com", "Trend Micro"}, {"trendmicro.eu", "Trend Micro"}, {"mailspamprotection.com", "SiteGround"},
	{"secureserver.net", "GoDaddy"}, {"fastmail.com", "Fastmail"}, {"messagingengine.com", "Fastmail"}, {"protonmail.ch", "Proton"}, {"amazonaws.com", "Amazon"}, {"charter.net", "Charter"},
	{"cox.net", "Cox"}, {"libero.it", "Libero"}, {"seznam.cz", "Seznam"}, {"wp.pl", "WP"}, {"onet.pl", "Onet"}, {"naver.com", "Naver"}, {"hornetsecurity.com", "Hornetsecurity"}, {"antispameurope.com", "Hornetsecurity"},
	{"sophos.com", "Sophos"}, {"fireeyecloud.com", "Trellix"}, {"mailprotect.be", "Combell"}, {"ovh.net", "OVH"}, {"gandi.net", "Gandi"}, {"hostinger.com", "Hostinger"}, {"titan.email", "Titan"},
}

// provider is who runs the recipient's mailbox or its gateway, by the relay's name, else by the recipient's domain; empty
// if unknown.
func provider(r *record.Row) string {
	if p := byHost(r.RelayHost); p != "" {
		return p
	}
	return byHost(record.Domain(r.Recipient))
}

func byHost(host []byte) string {
	if len(host) == 0 {
		return ""
	}
	best, length := "", 0
	for i := range providers {
		s := providers[i].suffix
		if len(s) > length && hasSuffixFold(host, s) {
			best, length = providers[i].name, len(s)
		}
	}
	return best
}

// hasSuffixFold reports whether the host is the domain or below it; the domain is in lower case.
func hasSuffixFold(host []byte, domain string) bool {
	n := len(host) - len(domain)
	if n < 0 || n > 0 && host[n-1] != '.' {
		return false
	}
	for i := range len(domain) {
		if fold(host[n+i]) != domain[i] {
			return false
		}
	}
	return true
}

// providerNames lists the providers.
func providerNames() []string {
	var names []string
	for i := range providers {
		if !slices.Contains(names, providers[i].name) {
			names = append(names, providers[i].name)
		}
	}
	return names
}

func knownProvider(name string) bool { return slices.Contains(providerNames(), name) }
