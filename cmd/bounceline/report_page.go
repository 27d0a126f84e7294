package main

import (
	"context"
	_ "embed"
	"html/template"
	"strconv"
	"time"

	"bounceline/pipeline/classify"
)

//go:embed report_page.html
var pageText string

// pageTimes is how many columns the page's chart has at the most.
const pageTimes = 60

// A page is what the template shows. Numbers are written out; all text is escaped by the template.
type page struct {
	Rate, Headline, From, To, Zone, Rows, Only, Deferrals string
	Parts                                                 []pagePart
	Unit, FirstTime, LastTime, Most, Read                 string
	Times                                                 []pageTime
	Tables                                                []pageTable
	Reasons                                               []pageReason
	Refusals                                              []pageRefusal
	Left                                                  []pageLeft
}

// A pagePart is a piece of a bar: of so many, or so much of its whole length in percent.
type pagePart struct {
	Class, Title string
	N            float64
}

type pageTime struct {
	Title string
	Parts []pagePart
}

type pageTable struct {
	Title, Name string
	Rows        []pageRow
}

type pageRow struct {
	Name, Rate, Delivered, Failed, Hard, Soft, Block string
	Parts                                            []pagePart
}

type pageReason struct {
	Category, Kind, Failures, Share, AtProvider, Provider, Meaning, Example, Before, Advice string
	Back                                                                                    pageBack
}

type pageRefusal struct {
	By, Category, Kind, Meaning, Figures, Example, Advice string
	Back                                                  pageBack
}

type pageBack struct {
	List *classify.Blocklist
	Way  *classify.Way
}

type pageLeft struct{ Name, Rows, Meaning string }

// page writes the overview as one HTML file that needs nothing else.
func (r *report) page(ctx context.Context, out *screen, o *overview) error {
	layout := "2006-01-02 15:04"
	p := page{Headline: capital(o.sentence()), From: o.first.In(r.zone).Format(layout), To: o.last.In(r.zone).Format(layout),
		Zone: r.zone.String(), Rows: plural(o.rows, "row", "rows"), Only: r.describe(), Deferrals: plural(o.deferrals, "deferral", "deferrals"), Unit: "hour"}
	if o.rate != nil {
		p.Rate = strconv.FormatFloat(*o.rate, 'f', 2, 64)
	}
	for _, part := range append([]pagePart{{"ok", "delivered", float64(o.delivered)}}, parts(&o.counts, 1)...) {
		if part.N > 0 {
			part.Title += " " + thousands(uint64(part.N))
			p.Parts = append(p.Parts, part)
		}
	}
	if o.last.Sub(o.first) > 48*time.Hour {
		p.Unit = "day"
	}
	times, _, err := r.times(ctx, p.Unit, pageTimes)
	if err != nil {
		return err
	}
	if len(times) > 1 {
		most := mostFailures(times)
		p.Most, p.FirstTime, p.LastTime = plural(most, "failure", "failures"), times[0].name, times[len(times)-1].name
		for _, t := range times {
			p.Times = append(p.Times, pageTime{t.name + ": " + thousands(t.failed()) + " of " + thousands(t.final()) + " failed", parts(&t.counts, 100/float64(most))})
		}
	}
	for _, t := range []struct {
		title, name string
		groups      []group
	}{{"Providers with the most failures", "provider", o.providers}, {"Recipient domains with the most failures", "domain", o.domains}} {
		if len(t.groups) > 0 {
			p.Tables = append(p.Tables, pageTable{t.title, t.name, pageRows(t.groups)})
		}
	}
	for _, x := range o.reasons {
		p.Reasons = append(p.Reasons, pageReason{x.category, x.kind, thousands(x.failures), percent(x.failures, o.failed()), thousands(x.atProvider), x.provider, meaning(x.category),
			excerpt(x.example), x.lastAnswers(), classify.Advice(x.category), pageBack{x.back.list, x.back.way}})
	}
	refusals, _, err := r.refusals(ctx, overviewReasons)
	if err != nil {
		return err
	}
	for _, x := range refusals {
		p.Refusals = append(p.Refusals, pageRefusal{escapeTerminal([]byte(x.who())), x.category, x.kind, meaning(x.category), escapeTerminal([]byte(r.figures(x))), excerpt(x.reply), classify.Advice(x.category),
			pageBack{x.back.list, x.back.way}})
	}
	for _, l := range o.left {
		if l.rows > 0 {
			p.Left = append(p.Left, pageLeft{l.name, thousands(l.rows), l.meaning})
		}
	}
	if o.read != nil {
		p.Read = o.read.String()
	}
	t, err := template.New("report").Parse(pageText)
	if err != nil {
		return err
	}
	return t.Execute(out, p)
}

// meaning is a category's, empty where it is unknown: of rows of another version.
func meaning(category string) string {
	if c := classify.Lookup(category); c != nil {
		return c.Meaning
	}
	return ""
}

func pageRows(groups []group) []pageRow {
	var out []pageRow
	most := mostFailures(groups)
	for _, g := range groups {
		rate := "-"
		if g.rate != nil {
			rate = strconv.FormatFloat(*g.rate, 'f', 1, 64)
		}
		out = append(out, pageRow{escapeTerminal([]byte(g.name)), rate, thousands(g.delivered), thousands(g.failed()), thousands(g.hard), thousands(g.soft), thousands(g.block),
			parts(&g.counts, 100/float64(most))})
	}
	return out
}

// mostFailures is the number of failures of the group that has most of them, at least 1.
func mostFailures(groups []group) uint64 {
	most := uint64(1)
	for _, g := range groups {
		most = max(most, g.failed())
	}
	return most
}

// parts are the kinds of failures, each so long as there are of it times scale.
func parts(c *counts, scale float64) []pagePart {
	var out []pagePart
	rest := c.failed() - min(c.failed(), c.hard+c.soft+c.block)
	for _, p := range []pagePart{{"hard", "hard", float64(c.hard)}, {"soft", "soft", float64(c.soft)}, {"block", "block", float64(c.block)}, {"other", "other", float64(rest)}} {
		if p.N *= scale; p.N > 0 {
			out = append(out, p)
		}
	}
	return out
}
