"""Perceptual metrics (a frozen trunk and one weight per channel), those of others, and PSNR and SSIM beside them."""
