package envelope

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// packWindow is how far back in bytes a match may lie. Answers of models are rarely
// longer, and an encoder holds about twice as much memory for good.
const packWindow = 512 << 10

// packer compresses values. It may be used concurrently; one call at a time
// compresses and one decompresses, the others wait for some microseconds.
type packer struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newPacker(maxValue int) (*packer, error) {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(packWindow),
		zstd.WithEncoderCRC(false), // GCM's tag says more
	)
	if err != nil {
		return nil, fmt.Errorf("envelope: zstd: %w", err)
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(maxValue)))
	if err != nil {
		return nil, fmt.Errorf("envelope: zstd: %w", err)
	}
	return &packer{encoder: e, decoder: d}, nil
}

// pack appends plain, compressed, to dst.
func (p *packer) pack(dst, plain []byte) []byte { return p.encoder.EncodeAll(plain, dst) }

// unpack appends what pack was given to dst; at most maxValue bytes are ever made.
func (p *packer) unpack(dst, packed []byte) ([]byte, error) { return p.decoder.DecodeAll(packed, dst) }
