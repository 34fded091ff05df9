"""Perceptual metrics (a frozen trunk and one weight per channel), and PSNR and SSIM beside them."""
