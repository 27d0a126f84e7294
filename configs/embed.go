// Package configs holds what bounceline ships as data.
package configs

import "embed"

// Rules is the shipped classification rules, in the folder rules.
//
//go:embed rules/*.yaml
var Rules embed.FS
