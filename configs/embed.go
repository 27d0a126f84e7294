// Package configs holds what bounceline ships as data.
package configs

import "embed"

// Rules is the shipped classification rules, in the folder rules.
//
//go:embed rules/*.yaml
var Rules embed.FS

// Providers is the table of mailbox providers and gateways.
//
//go:embed providers.yaml
var Providers []byte

// Blocklists is the table of blocklists.
//
//go:embed blocklists.yaml
var Blocklists []byte

// WayBack is what to do about the codes of providers.
//
//go:embed wayback.yaml
var WayBack []byte

// Spellings is ways to write the same words.
//
//go:embed spellings.yaml
var Spellings []byte

// Misspellings is words that servers misspell, by what they mean.
//
//go:embed misspellings.yaml
var Misspellings []byte

// Acquitting is words that tell of something else than the recipient.
//
//go:embed acquitting.yaml
var Acquitting []byte

// Words is how much each word of a reply speaks for a category.
//
//go:embed words.tsv
var Words []byte
