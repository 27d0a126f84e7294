package classify

import (
	"strings"
	"testing"
)

// TestProviders: who answered is known by the names of mail servers as MX records have them, else by the recipient's domain, else
// by what a reply says of itself.
func TestProviders(t *testing.T) {
	e := engine(t)
	for host, want := range map[string]string{
		"alt1.gmail-smtp-in.l.google.com": "Google", "smtp.google.com": "Google", "outlook-com.olc.protection.outlook.com": "Outlook.com", "example-org.mail.protection.outlook.com": "Microsoft 365",
		"example-org.a-v1.mx.microsoft": "Microsoft 365", "example.mail.protection.partner.outlook.cn": "Microsoft 365", "mta5.am0.yahoodns.net": "Yahoo/AOL", "mx-aol.mail.gm0.yahoodns.net": "Yahoo/AOL",
		"mx-att.mail.am0.yahoodns.net": "Yahoo/AOL", "mx01.mail.icloud.com": "Apple", "mx1.comcast.net": "Comcast", "pkvw-mx.msg.pkvw.co.charter.net": "Charter", "cox.mx.a.cloudfilter.net": "Cox",
		"mx.a.cloudfilter.net": "Cloudmark", "mx.centurylink.net": "CenturyLink", "mx1.emailsrvr.com": "Rackspace", "mailstore1.secureserver.net": "GoDaddy", "mxmta.owm.bell.net": "Bell Canada", "smtp-in.orange.fr": "Orange",
		"smtp-in.sfr.fr": "SFR", "mx1.free.fr": "Free", "smtpz4.laposte.net": "La Poste", "mx00.emig.gmx.net": "GMX/web.de", "mx-ha02.web.de": "GMX/web.de", "mx00.ionos.de": "IONOS", "mx00.1and1.co.uk": "IONOS",
		"mx00.t-online.de": "T-Online", "emig.freenet.de": "freenet", "smtp-in.libero.it": "Libero", "smtp.tim.it": "Telecom Italia", "mx.aruba.it": "Aruba", "etb-1.mail.tiscali.it": "Tiscali", "mx.kpnmail.nl": "KPN",
		"mx.tb.mail.iss.as9143.net": "Ziggo", "mx.mnd.ukmail.iss.as9143.net": "Virgin Media", "mx.telenet-ops.be": "Telenet", "mx.wp.pl": "WP", "mx.poczta.onet.pl": "Onet", "mx1.seznam.cz": "Seznam", "mxs.mail.ru": "Mail.ru",
		"mx.yandex.ru": "Yandex", "mx3.qq.com": "Tencent QQ", "163mx00.mxmail.netease.com": "NetEase", "freemx1.sinamail.sina.com.cn": "Sina", "mx1.qiye.aliyun.com": "Alibaba", "mx1.naver.com": "Naver", "mx1.hanmail.net": "Daum",
		"mfsmax.docomo.ne.jp": "NTT docomo", "mx.au.com": "KDDI", "mx.softbank.ne.jp": "SoftBank", "mx.mail.yahoo.co.jp": "Yahoo! Japan", "mx.zoho.com.au": "Zoho", "in1-smtp.messagingengine.com": "Fastmail",
		"mailsec.protonmail.ch": "Proton", "eu-smtp-inbound-1.mimecast.com": "Mimecast", "mx0a-00123401.pphosted.com": "Proofpoint", "mx1-us1.ppe-hosted.com": "Proofpoint", "d1a.ess.barracudanetworks.com": "Barracuda",
		"mx1.hc123-45.iphmx.com": "Cisco", "route1.mx.cloudflare.net": "Cloudflare", "mailstream-east.mxrecord.io": "Cloudflare", "in.tmes.trendmicro.com": "Trend Micro", "mx-01-us-east-2.prod.hydra.sophos.com": "Sophos",
		"cust1-s.in.mailcontrol.com": "Forcepoint", "cluster5.eu.messagelabs.com": "Broadcom", "mx01.hornetsecurity.com": "Hornetsecurity", "mx1.vadesecure.com": "Vade", "mx2.mailchannels.net": "MailChannels",
		"mx1.spamexperts.com": "SpamExperts", "mx1.mtaroutes.com": "SpamExperts", "example.org.s7a1.psmtp.com": "Postini", "inbound-smtp.eu-west-1.amazonaws.com": "Amazon WorkMail", "mx.example.org": "",
		"email-smtp.us-east-1.amazonaws.com": "Amazon SES", "mail-1.elb.us-east-1.amazonaws.com": "", "ec2-192-0-2-1.eu-west-1.compute.amazonaws.com": "",
	} {
		row := Case{Text: "450 4.7.1 xyzzy", RelayHost: host}.Row()
		if got := e.Classify(&row).Provider; got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	for text, want := range map[string]string{
		"550 5.1.1 xyzzy x12-20020a - gsmtp":                                    "Google",
		"550 5.1.1 No such user ann - nsmtp":                                    "Naver",
		"550 5.7.1 xyzzy [BN1NAM02FT004.eop-nam02.prod.protection.outlook.com]": "Microsoft 365",
		"554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.)": "T-Online",
		"554 xyzzy. For explanation visit https://postmaster.web.de/en/case?c=rdns":                                           "GMX/web.de",
		"550 smtp-07.iol.local xyzzy [smtp-07.iol.local; LIB_150]":                                                            "Libero",
		"550 5.7.1 Service refuse. Service refused. LPN007_517":                                                               "La Poste",
		"550 5.2.0 Mail rejete. Mail rejected. OFR_506 [506]":                                                                 "Orange",
		"554 5.7.1 xyzzy, see https://ya.cc/1IrBc":                                                                            "Yandex",
		"550 xyzzy [X1]. https://service.mail.qq.com/detail/0/92":                                                             "Tencent QQ",
		"554 Reject ANTISPAM_BAT[01201311R846a]: xyzzy":                                                                       "Alibaba",
		"554-gmx.net (mxgmx104) Nemesis ESMTP Service not available":                                                          "GMX/web.de",
		"421-perfora.net (mxeueus003) Nemesis ESMTP Service not available":                                                    "IONOS",
		"550 5.1.1 mx3.tb.mail.iss.as9143.net MXIN501 xyzzy":                                                                  "Ziggo",
		"554 5.7.1 mx4.mnd.ukmail.iss.as9143.net MXIN603 xyzzy":                                                               "Virgin Media",
		"550 5.1.1 RUSR 192.0.2.1: xyzzy":                                                                                     "Daum",
		"450 4.7.1 xyzzy (G1F)":                                                                                               "Rackspace",
		"550 csi.mimecast.org xyzzy":                                                                                          "Mimecast",
		"550 cuda_nsu ann@example.org... xyzzy":                                                                               "Barracuda",
		"550 5.7.1 xyzzy - ELNK0001_999":                                                                                      "EarthLink",
		"550 5.7.1 xyzzy [AB] https://console.mailchannels.net/insights":                                                      "MailChannels",
		"550 5.7.1 messages from [192.0.2.1] weren't sent. xyzzy (S3140)":                                                     "Outlook.com",
	} {
		row := answer(text)
		if got := e.Classify(&row).Provider; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestProvidersAbout: people name providers otherwise than the table does.
func TestProvidersAbout(t *testing.T) {
	providers, err := NewProviders()
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{
		"Google": "Google", "google": "Google", "gmail": "Google", "Gmail": "Google", "gmail.com": "Google", "googlemail": "Google",
		"hotmail": "Outlook.com", "outlook": "Outlook.com", "live": "Outlook.com", "hotmail.co.uk": "Outlook.com",
		"microsoft": "Microsoft 365", "office365": "Microsoft 365", "protection.outlook.com": "Microsoft 365", " microsoft 365 ": "Microsoft 365",
		"yahoo": "Yahoo/AOL", "aol": "Yahoo/AOL", "yahoo.co.jp": "Yahoo! Japan", "japan": "Yahoo! Japan", "icloud": "Apple", "gmx": "GMX/web.de", "web.de": "GMX/web.de",
		"yahoodns.net": "Yahoo/AOL", "comcast": "Comcast", "t-online": "T-Online", "laposte": "La Poste", "att": "Yahoo/AOL, AT&T",
		"": "", " ": "", "nosuch": "", ".": "",
	} {
		if got := strings.Join(providers.About(what), ", "); got != want {
			t.Errorf("%q: %q, want %q", what, got, want)
		}
	}
}
