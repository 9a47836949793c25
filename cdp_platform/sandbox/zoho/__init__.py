"""A stand-in for Zoho Inventory: items with stock, contacts and sales orders of one organisation."""
