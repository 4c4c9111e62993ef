package pictures

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"slices"
)

// The palette of a picture: most of a page is a few flat colours and the greys at the edges of letters, and
// what is rare may still mean something, such as the dot that is red.
const (
	paletteSize = 256
	mostSeen    = 176 // of these by how often they are seen, the others by how far they are from all before
)

// compact writes a picture again with a palette, which takes about a third of the bytes and looks the same.
func compact(text []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	bounds := img.Bounds()
	seen := map[color.RGBA]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			seen[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)]++
		}
	}
	index, palette := chosen(seen)
	out := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.SetColorIndex(x, y, index[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)])
		}
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&b, out)
	return b.Bytes(), err
}

// chosen is a palette for the colours of a picture, and which of its colours stands for each.
func chosen(seen map[color.RGBA]int) (map[color.RGBA]uint8, color.Palette) {
	all := slices.SortedFunc(maps.Keys(seen), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(seen[b], seen[a]), cmp.Compare(number(a), number(b)))
	})
	type place struct{ distance, at int }
	nearest := make([]place, len(all)) // of each colour, so far
	var taken []color.RGBA
	take := func(c color.RGBA) {
		for i, other := range all {
			if d := distance(c, other); len(taken) == 0 || d < nearest[i].distance {
				nearest[i] = place{d, len(taken)}
			}
		}
		taken = append(taken, c)
	}
	for _, c := range all[:min(mostSeen, len(all))] {
		take(c)
	}
	for len(taken) < min(paletteSize, len(all)) {
		far := 0
		for i := range all {
			if nearest[i].distance > nearest[far].distance {
				far = i
			}
		}
		take(all[far])
	}
	index := make(map[color.RGBA]uint8, len(all))
	palette := make(color.Palette, len(taken))
	for i, c := range all {
		index[c] = uint8(nearest[i].at)
	}
	for i, c := range taken {
		palette[i] = c
	}
	return index, palette
}

// distance is how different two colours are: the square of the way between them.
func distance(a, b color.RGBA) int {
	r, g, bl := int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B)
	return r*r + g*g + bl*bl
}

func number(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }
